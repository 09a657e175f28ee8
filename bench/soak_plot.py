"""Draw what the long mixed load left: a worker's memory and descriptors over time.

python -m bench.soak_plot [SAMPLES.csv [FOLDER]], in an environment that has matplotlib; see tools/bench_peers.sh.
"""
