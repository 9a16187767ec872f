// Asio is compiled once, here, beside the precompiled header whose inline initialisers refer to it; everything else
// sees BOOST_ASIO_SEPARATE_COMPILATION.
#include <boost/asio/impl/src.hpp>
