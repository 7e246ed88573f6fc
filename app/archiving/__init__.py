"""The archive of the usage log: files whose content the log alone decides, their manifests, and what compares and repairs them."""
