"""What some methods share: superpixels, coalitions, patterns."""
