"""What is made of stored recordings: days, suggestions and files to take away."""
