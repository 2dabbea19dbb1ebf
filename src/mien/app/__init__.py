"""The local web app: a person sees their own expressions over time, with consent. Never torch."""
