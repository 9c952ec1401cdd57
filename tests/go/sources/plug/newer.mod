module example.com/plug

go 1.19

require example.com/dep v1.1.0

replace example.com/dep v1.1.0 => ../dep/v2
