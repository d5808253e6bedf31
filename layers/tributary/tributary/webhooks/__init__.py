"""What other systems call us with."""
