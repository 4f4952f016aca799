"""How paths become labels: discounted cash as a function of normals, whose mean and derivatives are the labels."""
