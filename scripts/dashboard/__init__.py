"""Draws the dashboard of Grafana."""
