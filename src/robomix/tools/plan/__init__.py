"""What a training will see, need and take, worked out and briefly tried before it starts."""
