"""Questions asked of a finished net, one a module; each returns tables or arrays, never figures."""
