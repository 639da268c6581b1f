"""From one GPU to a cluster: Slurm scripts, servers for large teachers, files for Kubernetes and SkyPilot."""
