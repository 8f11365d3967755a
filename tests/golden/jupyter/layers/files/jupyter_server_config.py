# JupyterLab in a container. The token is no setting of the image: JUPYTER_TOKEN, else a new one at each start.
c = get_config()  # noqa: F821
c.ServerApp.ip = "0.0.0.0"  # of the container: which addresses of the host lead here, `--publish` says
c.ServerApp.open_browser = False
c.ServerApp.terminado_settings = {"shell_command": ["/bin/bash"]}
c.IdentityProvider.cookie_name = "gpuimg-notebook"  # servers on several ports of one host would log each other out
