"""A quadratic model of the loss, and what is best removed under it: OBS and its descendants, CBS, CHITA."""
