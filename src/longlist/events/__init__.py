"""The record of every change."""
