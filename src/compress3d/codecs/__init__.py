"""Conventional codecs that the learnt ones are measured against."""
