"""Real models made by people, from three Debian packages, as one store.

    package                 models  what                                     licence
    sweethome3d-furniture      820  furniture in five .sh3f libraries        CC0, CC-BY 3.0 (US), model by model
    flightgear-data-ai         143  aircraft, AC3D                           GPL-2+
    torcs-data                  17  cars, AC3D                               Free Art License, three of them GPL-2+

Get them with apt, or unpack them anywhere without root:

    apt-get download sweethome3d-furniture flightgear-data-ai torcs-data
    for package in *.deb; do dpkg -x "$package" cad-sources; done
    compress3d data build cad --source cad-sources

Pictures and voxels are derived works: those of CC0 models are free, those of CC-BY models ask for a credit; only these
ship with this repository. Those of GPL and Free Art models stay under their licence.
"""

from compress3d.data.cad.build import build_cad, find_models

__all__ = ["build_cad", "find_models"]
