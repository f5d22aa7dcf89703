"""Unit tests share builders."""
