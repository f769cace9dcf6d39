"""Whole stories from one command: the demonstration; the paper's table and figures are to come."""
