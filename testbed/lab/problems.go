package lab

import (
	"strconv"
	"strings"

	"lbctl/testbed/experiment"
)

// Problem is one of the problem set, in short.
type Problem struct {
	Number int
	// Title is a noun phrase.
	Title string
	// Parts are its questions with the textbook's answers. A problem of one question has one part without a letter.
	Parts []Part
}

// Part is one question of a problem.
type Part struct{ Letter, Question, Answer string }

// Problems returns the ten of the problem set in their order.
func Problems() []Problem {
	return []Problem{
		{1, "Interrupts under load", []Part{{"", "Under high packet load a multicore server spends much of its time on interrupts and context switches, and little on the application. Which mechanism mitigates this?",
			"Polling, or batching interrupts."}}},
		{2, "Copies of packets", []Part{{"", "The network stack copies packets several times, from the device to the kernel to user space. Which mechanism minimizes the overhead?",
			"DMA directly into user space (DPDK), or mapping the kernel's packet buffers into user space (netmap)."}}},
		{3, "One port, several processes", []Part{{"", "An event-driven web server blocks on the disk, and so runs as several processes. How can all of them handle requests that arrive on one port?",
			"The master opens a socket on the port and forks; all children accept from it, with locks. Or the master alone listens, and gives blocking disk I/O to workers by IPC."}}},
		{4, "A kernel's network stack on many cores", []Part{
			{"a", "Packet buffers are allocated and freed dynamically. What avoids it?", "A preallocated circular ring of packet buffers, exposed to user space (netmap, DPDK)."},
			{"b", "The payload is copied from the NIC to the kernel and from there to user space. What avoids it?", "The NIC's ring mapped into user space (netmap), or a ring of user space given to the NIC by a driver there (DPDK)."},
			{"c", "Threads on different cores contend for a lock to accept connections on the shared listening socket. What avoids it?", "An accept queue for each core."},
		}},
		{5, "A key-value store behind a NIC with queues", []Part{
			{"a", "Do the interrupts of all packets of a TCP flow go to one core?", "Yes: all packets of a flow have the same hash of the 4-tuple."},
			{"b", "Are all get requests for a key handled by one core?", "No: they can come over TCP connections with different 4-tuples."},
		}},
		{6, "An event loop with disk workers", []Part{
			{"a", "The server looks for finished workers whenever an event wakes it. When does that fail?", "If only one request and no other traffic comes, the server never wakes up."},
			{"b", "What mends it?", "A socket from worker to main thread: the worker writes to it when it has finished, which wakes the event loop."},
		}},
		{7, "A file server of several processes", []Part{{"", "Every operation blocks, and there are processes only. When is a child spawned and reaped, and who does what?",
			"One child for each client, when accept returns; the parent reaps the dead ones before each accept. The child reads and writes; it inherits the client's descriptor."}}},
		{8, "The three-way handshake", []Part{{"", "Which system call initiates TCP's handshake: socket, listen, connect or accept?", "connect."}}},
		{9, "The top half of the interrupt", []Part{{"", "A NIC with DMA has received a packet. What does the top half of the interrupt handler do: copy to kernel memory, copy to user memory, update the RX ring's pointers, or send an acknowledgement?",
			"It updates the RX ring's pointers."}}},
		{10, "A load balancer that computes h mod N", []Part{
			{"a", "Are all packets of a TCP connection sent to one replica?", "Yes: all have the same hash of the 4-tuple."},
			{"b", "Are all requests for a web object sent to one replica?", "No: they can come over several connections, which hash to different replicas."},
		}},
	}
}

// reference is where an experiment belongs: the number of a problem, and the letter of its part, "" for all.
type reference struct {
	number int
	letter string
}

// references reads the field Problem of an experiment: "5a, 10". What is no number is left out.
func references(e experiment.Experiment) (list []reference) {
	for text := range strings.SplitSeq(e.Problem, ",") {
		text = strings.TrimSpace(text)
		digits := strings.TrimRight(text, "abcdefgh")
		if n, err := strconv.Atoi(digits); err == nil {
			list = append(list, reference{n, text[len(digits):]})
		}
	}
	return list
}

// Of returns the experiments of the catalogue that measure a problem, or a part of it.
func Of(p Problem) (list []experiment.Experiment) {
	for _, e := range All() {
		for _, r := range references(e) {
			if r.number == p.Number {
				list = append(list, e)
				break
			}
		}
	}
	return list
}
