// Asio is compiled once, here; everything else sees BOOST_ASIO_SEPARATE_COMPILATION.
#include <boost/asio/impl/src.hpp>
