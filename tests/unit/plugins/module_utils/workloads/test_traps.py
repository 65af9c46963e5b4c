# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ways in which each tool misleads, and that none of them reaches a measurement."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.command import Completed
from ansible_collections.datapath.lab.plugins.module_utils.errors import CommandError, InvalidValueError, LabError, ParseError
from ansible_collections.datapath.lab.plugins.module_utils.workloads import iperf3, netperf, ping, redis_benchmark, sockperf, wrk
from ansible_collections.datapath.lab.plugins.module_utils.workloads.tool import Reading, Tool, percentile

FIXTURES = Path(__file__).parents[4] / "fixtures"


def text_of(name: str) -> str:
    """Return a capture by its name."""
    directory = "redis-benchmark" if name.startswith("redis") else name.split("-")[0]
    return (FIXTURES / directory / f"{name}.out").read_text(encoding="utf-8")


def params(tool: Tool, **given: Any) -> dict:
    """Return a module's options with their defaults."""
    return {"host": "10.0.0.2", **{option.name: option.default for option in tool.options}, **given}


def read(tool: Tool, text: str, rc: int = 0, stderr: str = "", **given: Any) -> Reading:
    """Read what a tool printed."""
    return tool.read(Completed((tool.name,), rc, text, stderr), params(tool, **given))


class TestNetperf:
    def test_what_was_not_measured_is_listed_and_has_no_value(self) -> None:
        reading = read(netperf.TOOL, text_of("netperf-2.7.1-tcp_stream_no_cpu"), test="TCP_STREAM")
        assert set(reading.not_measured) == {"cpu_local", "cpu_remote", "service_demand_local", "service_demand_remote"}
        assert not set(reading.not_measured) & set(reading.metrics)
        assert all(metric.value >= 0 for metric in reading.metrics.values())

    def test_method_u_counts_even_where_a_value_stands(self) -> None:
        text = text_of("netperf-2.7.1-tcp_rr").replace("REMOTE_CPU_METHOD=S", "REMOTE_CPU_METHOD=U")
        reading = read(netperf.TOOL, text, test="TCP_RR")
        assert set(reading.not_measured) == {"cpu_remote", "service_demand_remote"}

    @pytest.mark.parametrize("version", ["2.7.0", "2.7.1"])
    def test_more_than_all_cpus_is_no_measurement(self, version: str) -> None:
        text = text_of(f"netperf-{version}-tcp_crr")
        assert float(re.search(r"REMOTE_CPU_UTIL=(\S+)", text).group(1)) > 400
        reading = read(netperf.TOOL, text, test="TCP_CRR")
        assert set(reading.not_measured) == {"cpu_remote", "service_demand_remote"}
        assert "cpu_local" in reading.metrics

    @pytest.mark.parametrize("version", ["2.7.0", "2.7.1"])
    def test_the_result_of_udp_is_what_was_received(self, version: str) -> None:
        text = text_of(f"netperf-{version}-udp_stream")
        reading = read(netperf.TOOL, text, test="UDP_STREAM")
        received = float(re.search(r"REMOTE_RECV_THROUGHPUT=(\S+)", text).group(1))
        sent = float(re.search(r"LOCAL_SEND_THROUGHPUT=(\S+)", text).group(1))
        assert reading.metrics["throughput"].value == received < sent == reading.metrics["throughput_sent"].value
        assert reading.metrics["throughput_sent"].better == "neither"
        assert reading.metrics["loss"].value == pytest.approx(100 * (1 - received / sent))
        assert reading.work.transferred == pytest.approx(received * 1e6 / 8)

    def test_a_missed_interval_is_said(self) -> None:
        reading = read(netperf.TOOL, text_of("netperf-2.7.1-tcp_stream_confidence_missed"), test="TCP_STREAM")
        assert reading.metrics["confidence_width"].value == 25.416
        assert reading.facts["confidence"]["met"] is False
        assert len(reading.warnings) == 1 and "+-12.7 %" in reading.warnings[0] and "not +-0.5 %" in reading.warnings[0]

    def test_a_reached_interval_is_not(self) -> None:
        text = text_of("netperf-2.7.1-tcp_stream_confidence_missed").replace("THROUGHPUT_CONFID=25.416", "THROUGHPUT_CONFID=0.9")
        reading = read(netperf.TOOL, text, test="TCP_STREAM")
        assert reading.facts["confidence"]["met"] is True and not reading.warnings

    def test_other_units_are_refused(self) -> None:
        text = text_of("netperf-2.7.1-tcp_stream").replace("10^6bits/s", "KBytes/s")
        with pytest.raises(ParseError, match="KBytes/s"):
            read(netperf.TOOL, text, test="TCP_STREAM")

    def test_nothing_moved_is_invalid(self) -> None:
        text = re.sub(r"(?m)^THROUGHPUT=.*", "THROUGHPUT=0.00", text_of("netperf-2.7.1-tcp_rr"))
        assert read(netperf.TOOL, text, test="TCP_RR").invalid == ("netperf TCP_RR moved nothing: its result is 0 transactions/s.",)


class TestIperf3:
    @pytest.mark.parametrize("argument", ["-d", "--debug", "--deb", "-dV", "-Vd", "--debug=2"])
    def test_debug_is_refused_where_duplex_was_meant(self, argument: str) -> None:
        with pytest.raises(InvalidValueError, match="both directions"):
            iperf3.TOOL.validate(params(iperf3.TOOL, counters_port=7117, extra_args=[argument]))

    @pytest.mark.parametrize("argument", ["--bidir", "--dscp", "-D4", "-4"])
    def test_other_arguments_are_not(self, argument: str) -> None:
        iperf3.TOOL.validate(params(iperf3.TOOL, counters_port=7117, extra_args=[argument]))

    def test_no_option_is_called_d(self) -> None:
        assert "-d" not in {option.flag for option in iperf3.OPTIONS}

    @pytest.mark.parametrize("version", ["3.9", "3.12", "3.18"])
    def test_failure_is_found_whatever_the_exit_status(self, version: str) -> None:
        name = f"iperf3-{version}-broken_refused"
        errors = FIXTURES / "iperf3" / f"{name}.err"
        with pytest.raises(CommandError):
            read(iperf3.TOOL, text_of(name), stderr=errors.read_text() if errors.exists() else "")

    @pytest.mark.parametrize("version", ["3.9", "3.12", "3.18"])
    def test_the_result_of_udp_is_what_was_received(self, version: str) -> None:
        reading = read(iperf3.TOOL, text_of(f"iperf3-{version}-udp"), protocol="udp")
        received, sent = reading.metrics["throughput"].value, reading.metrics["throughput_sent"].value
        assert reading.metrics["loss"].value > 1
        # The clocks of both ends differ by some milliseconds in a run of one second.
        assert received == pytest.approx(sent * (1 - reading.metrics["loss"].value / 100), rel=0.06)
        assert received < sent
        assert reading.metrics["packet_rate"].value * 1400 * 8 / 1e6 == pytest.approx(received)

    def test_a_result_of_zero_bytes_is_invalid(self) -> None:
        text = re.sub(r'("(bytes|bits_per_second)":)\s*[0-9.e+]+', r"\1 0", text_of("iperf3-3.18-tcp"))
        assert read(iperf3.TOOL, text).invalid == ("iperf3 moved nothing: no byte was received.",)

    def test_udp_without_a_rate_is_unlimited(self) -> None:
        line = iperf3.argv(params(iperf3.TOOL, protocol="udp"), "")
        assert line[line.index("-b") + 1] == "0"


class TestWrk:
    def test_status_errors_make_the_run_invalid_though_wrk_ends_with_zero(self) -> None:
        reading = read(wrk.TOOL, text_of("wrk-4.1.0-4+b1-status_404"))
        assert reading.invalid == ("wrk: of 97993 requests 97993 had a status of 400 or more.",)
        assert reading.metrics["errors"].value == 97993

    @pytest.mark.parametrize("kind", ["connect", "read", "write", "status", "timeout"])
    def test_each_kind_of_error_makes_the_run_invalid(self, kind: str) -> None:
        text = text_of("wrk-4.1.0-4+b1-ok").replace(f'"{kind}":0', f'"{kind}":3')
        reading = read(wrk.TOOL, text)
        assert len(reading.invalid) == 1 and " 3 " in reading.invalid[0]

    def test_no_answer_at_all_is_invalid_and_has_no_latency(self) -> None:
        reading = read(wrk.TOOL, text_of("wrk-4.1.0-4+b1-no_answer"))
        assert reading.invalid == ("wrk: not one request was answered.",)
        assert not [name for name in reading.metrics if name.startswith("latency")]

    def test_latency_says_that_the_loop_is_closed(self) -> None:
        reading = read(wrk.TOOL, text_of("wrk-4.1.0-4+b1-ok"))
        assert all("closed_loop" in name for name in reading.metrics if "latency" in name)

    def test_our_script_prints_what_we_read(self) -> None:
        # The fixtures were made with this script; a change of it needs new ones.
        assert wrk.MARK in wrk.SCRIPT
        keys = re.findall(r'"([a-z_]+)":', wrk.SCRIPT)
        for key in ("duration_us", "requests", "bytes", "errors", *wrk.ERRORS, "latency_us", "percentiles"):
            assert key in keys


class TestSockperf:
    def test_both_latencies_are_named_precisely(self) -> None:
        reading = read(sockperf.TOOL, text_of("sockperf-3.7-tcp"))
        for name, metric in reading.metrics.items():
            if name.startswith("half_rtt_") and name != "half_rtt_stdev":
                assert reading.metrics[name.replace("half_", "")].value == 2 * metric.value
        assert reading.metrics["half_rtt_mean"].value == 10.535
        assert not [name for name in reading.metrics if name.startswith("latency")]

    def test_half_a_round_trip_agrees_with_the_rate(self) -> None:
        reading = read(sockperf.TOOL, text_of("sockperf-3.7-tcp"))
        assert reading.metrics["message_rate"].value == pytest.approx(1e6 / reading.metrics["rtt_mean"].value, rel=0.05)

    def test_whole_round_trips_are_not_taken_for_halves(self) -> None:
        with pytest.raises(ParseError, match="full-rtt"):
            read(sockperf.TOOL, text_of("sockperf-3.7-broken_full_rtt"))

    def test_no_valid_observation_is_an_error(self) -> None:
        text = text_of("sockperf-3.7-tcp").split("sockperf: \x1b[2;35m====>")[0]
        text += "sockperf: No valid observations found. Try tune parameters\n"
        with pytest.raises(CommandError, match="No valid observations"):
            read(sockperf.TOOL, text)

    def test_colours_are_taken_out(self) -> None:
        text = text_of("sockperf-3.7-tcp")
        assert "\x1b[" in text
        assert read(sockperf.TOOL, text).metrics == read(sockperf.TOOL, sockperf.COLOUR.sub("", text)).metrics

    def test_a_lost_message_of_tcp_is_invalid_and_one_of_udp_is_data(self) -> None:
        text = text_of("sockperf-3.7-tcp").replace("# dropped messages = 0", "# dropped messages = 2")
        assert read(sockperf.TOOL, text).invalid == ("sockperf: 2 messages were dropped.",)
        udp = read(sockperf.TOOL, text, protocol="udp")
        assert udp.metrics["dropped"].value == 2 and not udp.invalid


class TestRedisBenchmark:
    def test_two_columns_of_old_versions_have_rates_and_no_latency(self) -> None:
        reading = read(redis_benchmark.TOOL, text_of("redis-benchmark-6.0.16-get_set"))
        assert set(reading.metrics) == {"get_rate", "set_rate"}
        assert "get_latency_closed_loop_p99" in reading.not_measured

    def test_milliseconds_become_microseconds(self) -> None:
        reading = read(redis_benchmark.TOOL, text_of("redis-benchmark-8.0.2-get_set"))
        assert reading.metrics["get_latency_closed_loop_p99"].as_dict() == {"value": 3319.0, "unit": "us", "better": "lower"}

    def test_a_test_that_was_not_run_is_an_error(self) -> None:
        with pytest.raises(ParseError, match="lpush"):
            read(redis_benchmark.TOOL, text_of("redis-benchmark-8.0.2-get_set"), tests=["get", "lpush"])

    def test_no_command_follows_the_options(self) -> None:
        # With one redis-benchmark ignores -t.
        assert redis_benchmark.argv(params(redis_benchmark.TOOL), "")[-3:] == ["-t", "get,set", "--csv"]


class TestPing:
    def test_percentiles_are_those_of_the_single_round_trips(self) -> None:
        text = "\n".join(f"64 bytes from 10.0.0.2: icmp_seq={n} ttl=64 time=0.{n:03d} ms" for n in range(1, 101))
        text += "\n100 packets transmitted, 100 received, 0% packet loss, time 990ms\n"
        reading = read(ping.TOOL, text)
        assert reading.metrics["rtt_p50"].value == pytest.approx(50.5)
        assert reading.metrics["rtt_p95"].value == pytest.approx(95.05)
        assert reading.metrics["rtt_p99"].value == pytest.approx(99.01)
        assert len(reading.samples["rtt"]) == 100

    def test_a_lost_echo_is_invalid_and_tells_how_many(self) -> None:
        text = text_of("ping-20240905-answered").replace("20 packets transmitted", "21 packets transmitted")
        reading = read(ping.TOOL, text, rc=1)
        assert reading.invalid == ("ping: 1 of 21 echoes to 10.0.0.2 were not answered.",)
        assert reading.metrics["loss"].value == pytest.approx(100 / 21)

    def test_duplicates_are_not_counted(self) -> None:
        text = text_of("ping-20240905-small")
        first = next(line for line in text.splitlines() if "icmp_seq=1 " in line)
        doubled = text.replace(first, f"{first}\n{first.replace('0.067', '9.000')} (DUP!)")
        assert read(ping.TOOL, doubled).samples == read(ping.TOOL, text).samples

    def test_fping_and_ping_mean_the_same(self) -> None:
        reading = read(ping.TOOL, "", stderr="10.0.0.2 : 0.010 - 0.030\n", rc=1, program="fping")
        assert reading.samples["rtt"] == [10.0, 30.0]
        assert len(reading.invalid) == 1


def test_percentile_is_that_of_numpy() -> None:
    import numpy

    values = sorted([3.0, 1.0, 4.0, 1.5, 9.0, 2.6])
    for percent in (0, 1, 25, 50, 95, 99, 100):
        assert percentile(values, percent) == pytest.approx(float(numpy.percentile(values, percent)))


VERSIONS = [
    (netperf, "Netperf version 2.7.1\n", "2.7.1"),
    (iperf3, "iperf 3.18 (cJSON 1.7.15)\nLinux vm\nOptional features available: CPU affinity setting\n", "3.18"),
    (wrk, "wrk debian/4.1.0-4+b1 [epoll] Copyright (C) 2012 Will Glozer\nUsage: wrk <options> <url>\n", "debian/4.1.0-4+b1"),
    (sockperf, "sockperf, version 3.7-no.git\n   compiled 2021-08-23 12:14:23\n", "3.7-no.git"),
    (redis_benchmark, "redis-benchmark 7.0.15\n", "7.0.15"),
    (redis_benchmark, 'Invalid option "--version" or option argument missing\n', None),
    (redis_benchmark, "redis-cli 6.0.16\n", "6.0.16"),
    (ping, "ping from iputils 20240905\n", "iputils 20240905"),
    (ping, "ping from iputils-s20180629\n", "iputils-s20180629"),
    (ping, "ping: invalid option -- 'V'\nBusyBox v1.37.0 (Debian 1:1.37.0-6+b9) multi-call binary.\n", "BusyBox v1.37.0"),
    (ping, "fping: Version 5.1\n", "fping 5.1"),
]


@pytest.mark.parametrize(("tool", "text", "version"), VERSIONS)
def test_version(tool: Any, text: str, version: Any) -> None:
    assert tool.parse_version(text) == version


def test_every_error_is_one_of_ours() -> None:
    assert issubclass(ParseError, LabError) and issubclass(CommandError, LabError) and issubclass(InvalidValueError, LabError)
