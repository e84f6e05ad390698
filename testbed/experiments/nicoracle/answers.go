package nicoracle

import (
	"lbctl/testbed/experiment"
	"lbctl/testbed/report"
)

// predictions are what a student is asked. Their names are those of the quantities.
func predictions() []experiment.Prediction {
	return []experiment.Prediction{
		{Name: "on-predicted-queue", Unit: "%", Tolerance: 0.5, Question: "A model of the NIC computes the Toeplitz hash of each packet and looks the queue up in the indirection table. What share of the packets comes on the queue that it names, in %?"},
		{Name: "hash-changes-with-table", Kind: experiment.YesNo, Question: "The indirection table is rewritten, and the same packets are sent again. Does the NIC compute another hash of any of them?"},
		{Name: "ports-of-fragments", Kind: experiment.YesNo, Question: "The first fragment of a UDP datagram shows the ports. Does the NIC hash them?"},
	}
}

// answer enters the headline, and what the predictions are held against.
func answer(r *experiment.Run, all []Evidence) {
	t := total(all, anyKind)
	r.Headline("%s of %s packets came on the queue, and %s with the hash, that the model computes, under %d settings of another implementation of RSS.",
		report.Cell(t.queue), report.Cell(t.sent), report.Cell(t.hash), len(all))
	before, after := find(all, beforeRewrite), find(all, afterRewrite)
	changed := 0
	for i, o := range after.Observations {
		changed += experiment.One(o.Hash != before.Observations[i].Hash)
	}
	r.Quantity(
		report.Quantity{Name: "on-predicted-queue", Value: 100 * float64(t.queue) / float64(max(t.sent, 1)), Unit: "%"},
		report.Quantity{Name: "hash-changes-with-table", Value: changed > 0},
		report.Quantity{Name: "ports-of-fragments", Value: fragmentsByPorts(all).Measured != 0},
	)
}
