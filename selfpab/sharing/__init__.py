"""Models leave this machine and come to it: hubs, other languages."""
