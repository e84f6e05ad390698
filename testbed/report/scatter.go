package report

import (
	"fmt"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Cloud is measured points against a theory.
type Cloud struct {
	// X and Y label the axes. XMin to YMax bound the drawing.
	X, Y                   string
	XMin, XMax, YMin, YMax float64
	// Points are what was measured; Legend names them and the curve.
	Points                    [][2]float64
	PointsLegend, CurveLegend string
	// Curve is what was expected.
	Curve func(x float64) float64
}

// Scatter draws points over the curve that theory expects.
func Scatter(name, title, caption string, cloud Cloud) (Figure, error) {
	points := make(plotter.XYs, len(cloud.Points))
	for i, at := range cloud.Points {
		points[i] = plotter.XY{X: at[0], Y: at[1]}
	}
	dots, err := plotter.NewScatter(points)
	if err != nil {
		return Figure{}, fmt.Errorf("draw figure %s: %w", name, err)
	}
	dots.Shape, dots.Radius, dots.Color = draw.CircleGlyph{}, 2.2, accent(0.75)
	curve := plotter.NewFunction(cloud.Curve)
	curve.Samples, curve.Width, curve.Color = 200, 0.8, ink(1)
	curve.Dashes = []vg.Length{3, 2}
	return drawFigure(name, title, caption, 200, func(c draw.Canvas) {
		p := newPlot(cloud.X, cloud.Y)
		p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = cloud.XMin, cloud.XMax, cloud.YMin, cloud.YMax
		p.X.Tick.Marker, p.Y.Tick.Marker = grouped{}, grouped{}
		grid := plotter.NewGrid()
		grid.Vertical.Width = 0
		grid.Horizontal.Color, grid.Horizontal.Width = ink(0.12), 0.5
		p.Add(grid, curve, dots)
		legend(p, entry{cloud.PointsLegend, dots}, entry{cloud.CurveLegend, curve})
		p.Draw(draw.Crop(c, 4, -10, 0, -4))
	})
}

type entry struct {
	name  string
	thumb plot.Thumbnailer
}

func legend(p *plot.Plot, entries ...entry) {
	p.Legend.TextStyle.Font = sans(tickSize)
	p.Legend.YOffs, p.Legend.XOffs, p.Legend.Padding = 10, -6, 3
	p.Legend.ThumbnailWidth = 18
	for _, e := range entries {
		p.Legend.Add(e.name, e.thumb)
	}
}
