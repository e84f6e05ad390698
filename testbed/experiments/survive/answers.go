package survive

import (
	"lbctl/testbed/experiment"
	"lbctl/testbed/report"
)

// predictions are what a student is asked. Their names are those of the quantities.
func predictions() []experiment.Prediction {
	return []experiment.Prediction{
		{Name: "broke-without-memory", Kind: experiment.YesNo, Question: "Replicas come and go behind a load balancer that computes h mod N or looks up a Maglev table, and remembers no flow. Do connections break?"},
		{Name: "broke-with-memory", Kind: experiment.YesNo, Question: "The same, but it remembers flows where a change made it necessary. Do connections break whose replica is not removed?"},
		{Name: "frames-lost-in-kills", Unit: "frames", Question: "The daemon that controls the load balancer is killed under load, and started again. How many frames are lost?"},
		{Name: "broke-in-flood", Kind: experiment.YesNo, Question: "A flood of SYNs from as many sources as parameter syns says comes while replicas change. Do established connections break?"},
	}
}

// answer enters the headline, and what the predictions are held against.
func (f findings) answer(r *experiment.Run) {
	r.Headline("While replicas changed, %s of %s messages on connections whose replica was not removed were lost where flows are remembered, and %s of %s where none is. Killing the daemon under load lost %s of %s frames.",
		report.Cell(f.tracked.lost()), report.Cell(f.tracked.asked), report.Cell(f.untracked.broke), report.Cell(f.untracked.mustBreak+f.untracked.asked),
		report.Cell(f.kills.lost()), report.Cell(f.kills.sent))
	r.Quantity(
		report.Quantity{Name: "broke-without-memory", Value: f.untracked.broke > 0},
		report.Quantity{Name: "broke-with-memory", Value: f.tracked.lost() > 0},
		report.Quantity{Name: "frames-lost-in-kills", Value: f.kills.lost(), Unit: "frames"},
		report.Quantity{Name: "broke-in-flood", Value: f.syn.lost() > 0},
	)
}
