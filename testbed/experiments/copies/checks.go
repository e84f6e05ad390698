package copies

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"lbctl/testbed/experiment"
	"lbctl/testbed/measure"
	"lbctl/testbed/report"
	"lbctl/testbed/trace"
	"lbctl/testbed/xdp"
)

// evidence is what was found.
type evidence struct {
	// guest is the kernel in which copies were counted.
	guest   string
	counted map[key]Counted
	here    map[key]event
	// bound and zeroCopy say what became of the bind of an AF_XDP socket in copy mode and without copies.
	bound, zeroCopy string
	rounds          *measure.Rounds[passed]
}

// refused is what a bind without copies must be.
const refused = "refused: EOPNOTSUPP"

// count counts the records of the event skb_copy_datagram_iovec; whole is the length of a frame.
func (e *event) count(records []trace.Record, whole int) {
	e.all = len(records)
	for _, r := range records {
		if _, length, _ := strings.Cut(r.Text, "len="); length == strconv.Itoa(whole) {
			e.calls++
		}
	}
}

// checks hold what was found against what was expected.
func (e evidence) checks() []report.Check {
	return []report.Check{
		e.same(),
		e.copiesOnce(ReadCopiesOnce, Read, probes()[0]),
		e.copiesOnce(RingCopiesOnce, Ring, probes()[1]),
		e.copiesOnce(XDPCopiesOnce, Socket, probes()[2]),
		e.never(),
		e.sameHere(),
		e.binds(SocketBinds, e.bound),
		bytesCost().Check(e.slope(Read)),
		callsCost().Check(e.calls()),
	}
}

// same demands that every frame came out as it went in.
func (e evidence) same() report.Check {
	sent, wrong := 0, 0
	count := func(p passed) {
		sent += p.Sent
		wrong += max(p.Sent-p.Received, p.Received-p.Sent) + p.Damaged
	}
	for _, c := range e.counted {
		count(c.Passed)
	}
	for _, h := range e.here {
		count(h.passed)
	}
	for _, arm := range e.arms() {
		for _, p := range e.rounds.All(arm) {
			count(p)
		}
	}
	return report.Check{
		Name: SameFrames, Pass: wrong == 0 && sent > 0, Measured: wrong, Expected: 0,
		Detail: fmt.Sprintf("Frames that were lost, came twice, or came with other bytes, of %s; each byte is compared where copies are counted, length and first byte where time is measured.", report.Cell(sent)),
	}
}

// arms are all that were timed.
func (e evidence) arms() (names []string) {
	for _, p := range paths() {
		for _, payload := range payloads() {
			names = append(names, key{p, payload}.arm())
		}
	}
	return append(names, oneSizeArm)
}

// copiesOnce demands that one function, and no other, copied every byte of every frame once.
func (e evidence) copiesOnce(name string, p Path, by probe) report.Check {
	c := report.Check{Name: name, Pass: true, Expected: "1 copy, 1 byte a byte"}
	copies, moved, frames, bytes := 0, 0, 0, 0
	for _, payload := range []int{minPayload, maxPayload} {
		k := e.counted[key{p, payload}]
		n := k.Passed.Received
		frames += n
		bytes += n * (xdp.HeaderLength + payload)
		for function, calls := range k.Copies {
			copies += calls
			moved += k.Bytes[function]
		}
		c.Pass = c.Pass && n > 0 && k.Copies[by.function] == n && k.Bytes[by.function] == n*(xdp.HeaderLength+payload)
	}
	c.Pass = c.Pass && copies == frames && moved == bytes
	c.Measured = fmt.Sprintf("%s, %s a byte", amount(copies, frames, "copy", "copies"), amount(moved, bytes, "byte", "bytes"))
	c.Detail = fmt.Sprintf("Calls of %s for each frame, from %s, of payloads of %d and %d bytes; no other copy of a frame's bytes. Counted in the guest.", by.function, by.to, minPayload, maxPayload)
	return c
}

// amount writes a ratio with its unit.
func amount(n, of int, one, many string) string {
	ratio := measure.Round(float64(n)/float64(max(of, 1)), 3)
	if ratio == 1 {
		return "1 " + one
	}
	return report.Cell(ratio) + " " + many
}

// never demands that nothing copies what is handled in place: no function with copy in its name for each frame.
func (e evidence) never() report.Check {
	copies, frames := 0, 0
	for _, payload := range []int{minPayload, maxPayload} {
		k := e.counted[key{InPlace, payload}]
		frames += k.Passed.Received
		for _, calls := range k.Copies {
			copies += calls
		}
		for _, function := range perFrame(k) {
			copies += k.Called[function]
		}
	}
	return report.Check{
		Name: InPlaceNever, Pass: copies == 0 && frames > 0, Measured: copies, Expected: 0,
		Detail: fmt.Sprintf("Copies of %s frames that an XDP program saw in the driver's memory: calls of the functions above, and of any function with copy in its name that was called for as much as every second frame.", report.Cell(frames)),
	}
}

// perFrame are the functions with copy in their name that were called for at least every second frame, sorted.
func perFrame(c Counted) (functions []string) {
	for _, f := range slices.Sorted(maps.Keys(c.Called)) {
		if 2*c.Called[f] >= c.Passed.Received {
			functions = append(functions, f)
		}
	}
	return functions
}

// sameHere demands that the event of this machine's kernel agrees.
func (e evidence) sameHere() report.Check {
	wrong, reads := []string{}, 0
	for _, p := range paths() {
		for _, payload := range []int{minPayload, maxPayload} {
			h, want := e.here[key{p, payload}], 0
			if p == Read {
				want = h.passed.Received
				reads += h.calls
			}
			if h.passed.Received == 0 || h.calls != want || h.all != want {
				wrong = append(wrong, fmt.Sprintf("%s: %d copies to the process of %d frames", key{p, payload}.arm(), h.all, h.passed.Received))
			}
		}
	}
	return report.Check{
		Name: SameHere, Pass: len(wrong) == 0, Measured: len(wrong), Expected: 0,
		Detail: fmt.Sprintf("Paths and payloads of which the event skb_copy_datagram_iovec of this kernel says something else; it counted %s copies of whole frames by read(2).", report.Cell(reads)) + experiment.But("Wrong", wrong),
	}
}

// binds demands that a socket was bound.
func (e evidence) binds(name, became string) report.Check {
	return report.Check{
		Name: name, Pass: became == "bound", Measured: became, Expected: "bound",
		Detail: "What became of the bind of an AF_XDP socket to a queue of the veth.",
	}
}

// The bounds of the claims on cost. A core that copied faster than leastSlope, 100 bytes a nanosecond, or that made a
// system call in less than leastCall nanoseconds would be faster than any there is.
const (
	leastSlope = 0.01
	leastCall  = 50
)

// bytesCost is the claim that copying has a price by the byte.
func bytesCost() measure.Claim {
	return measure.Claim{
		Name: BytesCost, Want: measure.AtLeast(leastSlope), Size: "5 payloads, 1 core",
		Detail: "Nanoseconds of CPU time for each byte of payload: the slope of a line through the payloads by least squares, of read(2) less that of a program in place, in each round.",
	}
}

// callsCost is the claim that a system call for each frame has a price.
func callsCost() measure.Claim {
	return measure.Claim{
		Name: CallsCost, Want: measure.AtLeast(leastCall), Size: "64 bytes of payload, 1 core",
		Detail: "Nanoseconds of CPU time of a frame by read(2), less that by the mapped ring. Either copies it once.",
	}
}

// calls is what a frame of the smallest payload costs by read(2) more than by the ring.
func (e evidence) calls() measure.Estimate { return e.difference(Read, Ring, minPayload) }

// difference is what a frame costs more on one path than on another.
func (e evidence) difference(a, b Path, payload int) measure.Estimate {
	return e.rounds.Pairs(key{a, payload}.arm(), key{b, payload}.arm(), passed.nanoseconds, measure.Difference).Median(falseAlarm)
}

// slope is the price of a byte on a path, beside that of a program in place, which is the price of sending it.
func (e evidence) slope(p Path) measure.Estimate {
	return e.rounds.Combine(slopeArms(p), slopeOf).Median(falseAlarm)
}

// slopeArms are the arms of slopeOf.
func slopeArms(p Path) (arms []string) {
	for _, of := range []Path{p, InPlace} {
		for _, payload := range payloads() {
			arms = append(arms, key{of, payload}.arm())
		}
	}
	return arms
}

// slopeOf is the slope in a round.
func slopeOf(m []passed) float64 {
	n := len(payloads())
	_, own := fit(m[:n])
	_, base := fit(m[n:])
	return own - base
}

// fit returns the line through the nanoseconds of the payloads.
func fit(m []passed) (intercept, slope float64) {
	var x, y []float64
	for i, payload := range payloads() {
		x, y = append(x, float64(payload)), append(y, m[i].nanoseconds())
	}
	return measure.Line(x, y)
}

// lostSlope is how much of the price of a byte by read(2) is gone where frames of the least payload stand in the place of the
// largest.
func (e evidence) lostSlope() measure.Estimate {
	return e.rounds.Combine(append(slopeArms(Read), oneSizeArm, key{Read, minPayload}.arm()), func(m []passed) float64 {
		n := len(m) - 2
		return slopeOf(m[:n]) - (m[n].nanoseconds()-m[n+1].nanoseconds())/(maxPayload-minPayload)
	}).Median(falseAlarm)
}

// controls break what the checks are about.
func (e evidence) controls() []report.Check {
	return []report.Check{e.peekTwice(), e.noZeroCopy(), e.oneSize()}
}

// peekTwice: who looks before he reads, copies twice.
func (e evidence) peekTwice() report.Check {
	aim := e.copiesOnce(ReadCopiesOnce, Peek, probes()[0])
	copies, frames := 0, 0
	for _, payload := range []int{minPayload, maxPayload} {
		k := e.counted[key{Peek, payload}]
		copies += k.Copies[probes()[0].function]
		frames += k.Passed.Received
	}
	return experiment.Flips(report.Check{
		Name: PeekCopiesTwice, Pass: frames > 0 && copies == 2*frames, Measured: amount(copies, frames, "copy", "copies"), Expected: "2 copies",
		Detail: fmt.Sprintf("Copies of each of %s frames to the process, which looks at it with MSG_PEEK and then reads it.", report.Cell(frames)),
	}, aim)
}

// noZeroCopy: a veth cannot write into the process's memory.
func (e evidence) noZeroCopy() report.Check {
	return experiment.Flips(report.Check{
		Name: ZeroCopyRefused, Pass: e.zeroCopy == refused, Measured: e.zeroCopy, Expected: refused,
		Detail: "The same bind with XDP_ZEROCOPY: the NIC would write into the socket's memory, and nobody would copy. A veth has no NIC.",
	}, e.binds(SocketBinds, e.zeroCopy))
}

// oneSize: without payload there is no price of it. That a slope is none takes more rounds to show than that it is less by
// what it has to be at least.
func (e evidence) oneSize() report.Check {
	return measure.Claim{
		Name: OneSize, Want: measure.AtLeast(leastSlope), Size: "5 payloads, 1 core",
		Detail: fmt.Sprintf("How much less the slope of %s is with frames of %d bytes in the place of those of %d.", BytesCost, minPayload, maxPayload),
	}.Check(e.lostSlope())
}
