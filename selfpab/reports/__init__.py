"""What people are shown of a prediction: one page that opens offline (DESIGN 2)."""
