"""Headers of ActiGraph and GENEActiv as actfast tells them, whole and in pieces."""

from datetime import datetime

import numpy as np
import pytest

from selfpab.devices.other_headers import OtherHeader, of_actigraph, of_geneactiv
from tests.fake_actfast import GENEACTIV, INFO


class TestActigraph:
    def test_a_whole_header(self):
        header, limits, rate_hz = of_actigraph({"info": INFO})
        assert header == OtherHeader("ActiGraph wGT3XBT", "MOS1", None, "1.9.2", datetime(2020, 8, 26, 10, 9), None)
        assert rate_hz == 30
        assert limits is not None
        assert limits.range_g == 8
        counts = np.array([-2048, -2047, 2046, 2047], np.float32) / np.float32(256)
        assert (counts <= limits.low_g[0]).tolist() == [True, False, False, False]
        assert (counts >= limits.high_g[2]).tolist() == [False, False, False, True]

    def test_the_range_of_older_ones(self):
        own = {"Acceleration Scale": "341.0", "Acceleration Min": "-6.0", "Acceleration Max": "6.0"}
        _, limits, _ = of_actigraph({"info": INFO | own})
        assert limits is not None
        counts = np.array([-2046, -2045, 2044, 2045], np.float32) / np.float32(341)
        assert ((counts <= limits.low_g[0]) | (counts >= limits.high_g[0])).tolist() == [True, False, False, True]

    @pytest.mark.parametrize("info", [{}, {"Start Date": "soon", "Sample Rate": "\0", "Acceleration Min": "x"}])
    def test_what_is_not_told(self, info):
        assert of_actigraph({"info": info}) == (OtherHeader("ActiGraph", None, None, None, None, None), None, None)
        assert of_actigraph({})[1:] == (None, None)

    def test_a_date_beyond_the_calendar(self):
        assert of_actigraph({"info": {"Start Date": "9" * 25}})[0].start is None


class TestGeneactiv:
    def test_a_whole_header(self):
        header, limits, rate_hz = of_geneactiv(GENEACTIV)
        begins = datetime(2013, 5, 30, 10, 12, 49, 500_000)
        assert header == OtherHeader("GENEActiv 1.1", "012967", None, "Ver1.30 date 05Aug11", begins, None)
        assert rate_hz == 85.7
        assert limits is not None
        assert limits.range_g == 8

    def test_the_ends_of_the_range_have_gain_and_offset_in_them(self):
        limits = of_geneactiv(GENEACTIV)[1]
        assert limits is not None
        for axis, (gain, offset) in enumerate(((25875, 439), (25734, -662), (25538, -3056))):
            counts = np.array([-2048, -2047, 2046, 2047], np.float32)
            g = (counts * np.float32(100) - np.float32(offset)) / np.float32(gain)
            assert (g <= limits.low_g[axis]).tolist() == [True, False, False, False]
            assert (g >= limits.high_g[axis]).tolist() == [False, False, False, True]

    @pytest.mark.parametrize("missing", ["Calibration Data", "Device Capabilities"])
    def test_without_them_the_range_is_not_known(self, missing):
        assert of_geneactiv({key: value for key, value in GENEACTIV.items() if key != missing})[1] is None

    @pytest.mark.parametrize("gain", ["0", "-5", "nan", "much"])
    def test_nor_with_a_gain_that_is_none(self, gain):
        own = GENEACTIV["Calibration Data"] | {"y gain": gain}
        assert of_geneactiv(GENEACTIV | {"Calibration Data": own})[1] is None

    def test_what_is_not_told(self):
        assert of_geneactiv({}) == (OtherHeader("GENEActiv", None, None, None, None, None), None, None)
        assert of_geneactiv({"Configuration Info": {"Start Time": "2013-05-32"}})[0].start is None
