"""A real Longlist over HTTP for the tests: servers, client, account groups, checks of answers."""
