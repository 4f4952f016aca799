"""What is simulated on: scenarios, paths, and payoffs over them, sharp or smooth."""
