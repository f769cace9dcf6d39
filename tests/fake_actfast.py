"""What `actfast.read` gives, made up: so that tests need neither the package nor files of other makers."""

import sys
import types

import numpy as np

INFO = {
    "Serial Number": "MOS1",
    "Device Type": "wGT3XBT",
    "Firmware": "1.9.2",
    "Sample Rate": "30",
    "Start Date": "637340333400000000",
    "Stop Date": "0",
    "Acceleration Scale": "256.0",
    "Acceleration Min": "-8.0",
    "Acceleration Max": "8.0",
}
GENEACTIV = {
    "Device Identity": {
        "Device Unique Serial Code": "012967",
        "Device Type": "GENEActiv",
        "Device Model": "1.1",
        "Device Firmware Version": "Ver1.30 date 05Aug11",
    },
    "Device Capabilities": {"Accelerometer Range": "-8 to 8"},
    "Configuration Info": {"Measurement Frequency": "85.7 Hz", "Start Time": "2013-05-30 10:12:49:500"},
    "Trial Info": {"Study Centre": "\x00\x00"},
    "Calibration Data": {
        "x gain": "25875",
        "x offset": "439",
        "y gain": "25734",
        "y offset": "-662",
        "z gain": "25538",
        "z offset": "-3056",
    },
}


def actigraph(samples, times_ns, *, rate_hz=30, asleep=True, warnings=()):
    """A .gt3x: no temperature, battery in mV."""
    return {
        "format": "Actigraph GT3X",
        "timeseries": {
            "acceleration": {"datetime": np.asarray(times_ns), "acceleration": np.asarray(samples, np.float32)},
            "battery_voltage": {
                "datetime": np.asarray(times_ns[:1]),
                "battery_voltage": np.full(min(1, len(times_ns)), 4037, np.uint16),
            },
        },
        "metadata": {
            "info": INFO | {"Sample Rate": f"{rate_hz:g}"},
            "device_feature_enabled": {"sleep_mode": "true" if asleep else "false"},
        },
        "warnings": list(warnings),
    }


def geneactiv(samples, times_ns, *, rate_hz=85.7, temperature_c=(), temperature_ns=()):
    """A .bin."""
    degrees = np.asarray(temperature_c, np.float32)
    low = {"temperature": degrees, "battery_voltage": np.full(len(degrees), 4.1, np.float32)}
    return {
        "format": "GeneActiv BIN",
        "timeseries": {
            "low_frequency": {"datetime": np.asarray(temperature_ns, np.int64), **low},
            "high_frequency": {"datetime": np.asarray(times_ns), "acceleration": np.asarray(samples, np.float32)},
        },
        "metadata": GENEACTIV | {"Configuration Info": {"Measurement Frequency": f"{rate_hz:g} Hz"}},
        "warnings": [],
    }


def counted_ns(stamps_ns, size, rate_hz):
    """Times as actfast counts them: from the stamp of each record or page of so many samples by the nominal rate."""
    return (np.asarray(stamps_ns, np.int64)[:, None] + np.arange(size) * int(1e9 / rate_hz)).ravel()


def write(monkeypatch, results):
    """Files (path -> result, or an error) that only this actfast can read."""
    for path in results:
        path.write_text(path.name)

    def read(path, lenient=False):
        assert lenient, "damaged files are to be read as far as they can be"
        if isinstance(results[path], Exception):
            raise results[path]
        return results[path]

    monkeypatch.setitem(sys.modules, "actfast", types.SimpleNamespace(read=read))
