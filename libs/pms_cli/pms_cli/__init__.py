"""The pms command and the process supervisor."""
