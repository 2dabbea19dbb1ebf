"""Where results go: tables, files, drawings, videos and pages."""
