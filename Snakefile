# The sweep as a graph, for a machine or a Slurm cluster: data -> runs -> timing -> notebooks -> book.
#
#   pipx install snakemake==9.27.1                  # in an environment of its own: it pins other versions than the book
#   snakemake --cores 2 --config scale=demo         # two runs at once, one thread each
#   snakemake --executor slurm --jobs 20 --config scale=paper partition=gpu gpu=1
#   snakemake --unlock --cores 1                    # after snakemake itself was killed; then the same command again
#
# Name targets before --config, which takes every word behind it. A run that is killed goes on from its checkpoint; a
# run whose settings have changed is trained again.
import json
import subprocess

SCALE = config.get("scale", "demo")
DATA = config.get("data", "")  # "shapenet": train and test on that instead
CHOICE = ["--scale", SCALE, "--data", DATA]
TOOL = config.get("compress3d", ".venv/bin/compress3d")
PYTHON = config.get("python", ".venv/bin/python")
CACHE = config.get("cache", "_cache")
RUNS = {
    run["id"]: run
    for run in json.loads(subprocess.check_output([TOOL, "runs", "--json", *CHOICE, "--only", config.get("only", "*")]))
}
COMMANDS = {
    "shapes": "data build shapes",
    "smoke": "data build smoke",
    "cad": f"data build cad --source {config.get('cad', 'FOLDER')}",
    "shapenet": f"data build shapenet --split sorted --source {config.get('shapenet', 'FOLDER')}",
    "shapenet-ids": f"data build shapenet --split {config.get('ids', 'FILE')} --source {config.get('shapenet', 'FOLDER')} --out shapenet-ids",
}
# Cut to measure on a GPU machine; a CPU run takes an hour at `demo`, several days at `paper`.
HOURS = {"smoke": 1, "demo": 4, "paper": 24}
MEMORY_MB = {"smoke": 2000, "demo": 4000, "paper": 16000}
GPU = int(config.get("gpu", 0))  # of each run; Slurm's executor reads the resource `gpu`
DEVICE = config.get("device", "cuda" if GPU else "cpu")
THREADS = int(config.get("threads", 4 if GPU else 1))  # beside a GPU: the trainer, and the process that loads batches


wildcard_constraints:
    store="[a-z0-9-]+",
    run="[a-z0-9.@-]+",


localrules:
    all,
    book,


rule all:
    input:
        "_build/html/index.html",


rule runs:
    """Every run of the scale, without the book."""
    input:
        [f"results/{run}.json" for run in RUNS],


rule store:
    """A data source in the cache; `cad` and `shapenet` need their folder: --config cad=FOLDER."""
    output:
        CACHE + "/{store}/store.json",
    params:
        command=lambda wildcards: COMMANDS[wildcards.store],
    threads: 2
    shell:
        "{TOOL} {params.command}"


rule run:
    """Train and evaluate one run; its weights are shipped in between."""
    input:
        stores=lambda wildcards: [
            ancient(f"{CACHE}/{name}/store.json") for name in RUNS[f"{SCALE}/{wildcards.run}"]["stores"]
        ],
    output:
        "results/" + SCALE + "/{run}.json",
    params:
        name=lambda wildcards: wildcards.run.replace(f"@{DATA}-s", "-s"),
    threads: THREADS
    resources:
        runtime=60 * HOURS[SCALE],
        mem_mb=MEMORY_MB[SCALE],
        slurm_partition=config.get("partition", ""),
        gpu=GPU,
    shell:
        "{TOOL} sweep --scale {SCALE} --data '{DATA}' --only {params.name} --threads {threads} --device {DEVICE}"


rule timing:
    """Table 3; alone on its machine, or its milliseconds mean nothing."""
    output:
        "results/paper/timing-" + DEVICE + ".json",
    threads: workflow.resource_settings.cores or 4  # `workflow.cores` is an error where a cluster gives the cores
    resources:
        runtime=60,
        mem_mb=8000,
        slurm_partition=config.get("partition", ""),
        gpu=GPU,
    shell:
        "{TOOL} study timing --scale paper --device {DEVICE}"


rule book:
    """Execute every notebook and build the HTML."""
    input:
        rules.runs.input,
        rules.timing.output,
    output:
        "_build/html/index.html",
    shell:
        "{PYTHON} -m tools.book_build"
