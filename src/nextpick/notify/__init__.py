"""Notifications: state changes told to webhooks, by mail and to commands, at least once.

``subscriptions.py`` holds who is told what, ``channels.py`` how, ``service.py`` sees that it happens.
"""
