"""The pages: each module has a ``router`` that fills the views of ``pwa.views`` and draws a template."""
