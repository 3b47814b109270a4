"""Everything with parameters: encoders, cores, their kernels, and the policy made of them."""
