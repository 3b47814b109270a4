"""Many runs become numbers, figures and a page."""
