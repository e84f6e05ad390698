package nicoracle

import (
	"fmt"
	"strconv"

	"lbctl/rss/balance"
	"lbctl/testbed/report"
	"lbctl/testbed/vm"
)

// band is the share of runs in which chance alone stays in a by-chance band.
const band = 0.95

// figures draws where packets went.
func figures(all []Evidence) ([]report.Figure, error) {
	agreement, err := agreementMap(all)
	if err != nil {
		return nil, err
	}
	shares, err := sharesOf(find(all, afterRewrite))
	if err != nil {
		return nil, err
	}
	return []report.Figure{agreement, shares}, nil
}

// agreementMap draws the queue that was seen against the queue that was predicted.
func agreementMap(all []Evidence) (report.Figure, error) {
	matrix := report.Matrix{X: "queue seen", Y: "queue predicted", Unit: "packets"}
	for q := range vm.Queues {
		matrix.Columns = append(matrix.Columns, strconv.Itoa(q))
		matrix.Counts = append(matrix.Counts, make([]float64, vm.Queues))
	}
	matrix.Rows = matrix.Columns
	for _, e := range all {
		for _, o := range e.Observations {
			p := e.byModel(o.Frame)
			if o.Times > 0 && int(p.Queue) < vm.Queues && int(o.Queue) < vm.Queues {
				matrix.Counts[p.Queue][o.Queue]++
			}
		}
	}
	return report.HeatMap("agreement", "Predicted and seen",
		"Packets of all set-ups by the queue that the model names and the queue on which the guest received them. Agreement is the diagonal.", matrix)
}

// sharesOf draws the packets by queue against the table's shares.
func sharesOf(e Evidence) (report.Figure, error) {
	weights, counts := e.Config.Table.Shares(), e.perQueue()
	bands, err := balance.ShareBands(len(e.Observations), weights, band)
	if err != nil {
		return report.Figure{}, fmt.Errorf("draw shares: %w", err)
	}
	panel := report.Panel{X: "receive queue", Y: "packets"}
	for q, weight := range weights {
		panel.Shares = append(panel.Shares, report.Share{
			Label: strconv.Itoa(q), Count: float64(counts[q]), Expected: float64(len(e.Observations)) * weight,
			Low: float64(bands[q].Low), High: float64(bands[q].High),
		})
	}
	return report.Shares("shares", "A table with weights",
		fmt.Sprintf("Packets by queue in the set-up %q (%v), each of a flow of its own. Dashed: the table's share. Grey: where chance alone keeps a queue in %g of 100 runs.",
			e.Arm.Name, e.Arm.Change.RSS.Table, 100*band), panel)
}
