"""Studies of graphs: nodes, and the edges along which they tell each other what they know."""
