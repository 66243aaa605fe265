"""Whether a training would be fed what its mixture file says: samples drawn from its very loader, and counted."""
