"""What a release is made of: one version, reproducible artefacts, and the proof that each works."""
