"""What a surrogate is: a differentiable function with value, gradient and Hessian."""
