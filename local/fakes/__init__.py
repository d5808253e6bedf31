"""Vendors that run on this machine: their real paths and checks, with a log to read and a script to disturb them."""
