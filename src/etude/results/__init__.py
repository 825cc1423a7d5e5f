"""What is made of runs afterwards: load, check, compare, export."""
