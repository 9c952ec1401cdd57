module example.com/second

go 1.19

require example.com/dep v1.0.0

replace example.com/dep v1.0.0 => ../dep/v1
