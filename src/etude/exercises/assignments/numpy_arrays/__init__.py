"""Arrays in NumPy: shapes, broadcasting, masks, views, einsum, stable numerics."""
