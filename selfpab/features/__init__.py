"""Arrays to arrays; knows no files and no models."""
