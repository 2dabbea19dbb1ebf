"""What is made of stored recordings: charts, suggestions and files to take away."""
