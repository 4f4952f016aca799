"""What surrogates and labels are judged against: closed forms, Fourier sums, quadrature, a PDE, Monte Carlo."""
