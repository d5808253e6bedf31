"""Keeping up with a source that is asked: walking its records day by day, its history besides, and what a person sees of it."""
