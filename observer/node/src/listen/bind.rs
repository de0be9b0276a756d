//! Which addresses are listened on.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
};

use rustix::io::Errno;

/// Where to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// On one address; `[::]` is every address of both families, and those of IPv4 where
    /// there is no IPv6.
    At(SocketAddr),
    /// On this port of this machine alone, by both families as far as there are.
    Loopback(u16),
}

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {error}; choose another address with --listen")]
pub struct BindError {
    address: SocketAddr,
    error: io::Error,
}

impl Address {
    /// Listens there: one listener at least.
    pub fn bind(self) -> Result<Vec<TcpListener>, BindError> {
        match self {
            Self::At(address) if address.ip() == Ipv6Addr::UNSPECIFIED => {
                everywhere(address.port())
            }
            Self::At(address) => Ok(vec![listen(address)?]),
            Self::Loopback(port) => both(Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST, port),
        }
    }
}

fn everywhere(port: u16) -> Result<Vec<TcpListener>, BindError> {
    let six = match listen((Ipv6Addr::UNSPECIFIED, port).into()) {
        Err(error) if error.has_no_family() => {
            return Ok(vec![listen((Ipv4Addr::UNSPECIFIED, port).into())?]);
        }
        six => six?,
    };
    let port = six.local_addr().map_or(port, |address| address.port());
    match listen((Ipv4Addr::UNSPECIFIED, port).into()) {
        // With `net.ipv6.bindv6only` the first is of IPv6 alone.
        Ok(four) => Ok(vec![six, four]),
        Err(error) if error.is_taken() || error.has_no_family() => Ok(vec![six]),
        Err(error) => Err(error),
    }
}

fn both(four: Ipv4Addr, six: Ipv6Addr, port: u16) -> Result<Vec<TcpListener>, BindError> {
    let four = match listen((four, port).into()) {
        Err(error) if error.has_no_family() => return Ok(vec![listen((six, port).into())?]),
        four => four?,
    };
    let port = four.local_addr().map_or(port, |address| address.port());
    match listen((six, port).into()) {
        Ok(six) => Ok(vec![four, six]),
        Err(error) if error.has_no_family() => Ok(vec![four]),
        Err(error) => Err(error),
    }
}

fn listen(address: SocketAddr) -> Result<TcpListener, BindError> {
    let bound = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    bound.map_err(|error| BindError { address, error })
}

impl BindError {
    fn errno(&self) -> Option<Errno> {
        Errno::from_io_error(&self.error)
    }

    /// Whether the machine, or this network namespace of it, has no such addresses.
    fn has_no_family(&self) -> bool {
        let none = [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL];
        let ip = self.address.ip();
        (ip.is_unspecified() || ip.is_loopback())
            && self.errno().is_some_and(|errno| none.contains(&errno))
    }

    fn is_taken(&self) -> bool {
        self.errno() == Some(Errno::ADDRINUSE)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

    use super::Address;

    fn address(asked: Address) -> (Vec<TcpListener>, u16) {
        let listeners = asked.bind().unwrap();
        let port = listeners[0].local_addr().unwrap().port();
        assert!(
            listeners
                .iter()
                .all(|it| it.local_addr().unwrap().port() == port)
        );
        (listeners, port)
    }

    fn has_ipv6() -> bool {
        TcpListener::bind("[::1]:0").is_ok()
    }

    /// One that no loopback name leads to.
    fn of_this_machine() -> Option<SocketAddr> {
        let interfaces = if_addrs::get_if_addrs().unwrap();
        let mut addresses = interfaces.iter().map(if_addrs::Interface::ip);
        let found = addresses.find(|ip| ip.is_ipv4() && !ip.is_loopback())?;
        Some((found, 0).into())
    }

    #[test]
    fn loopback_is_both_families_and_nothing_else() {
        let (_listeners, port) = address(Address::Loopback(0));
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
        assert_eq!(TcpStream::connect(("::1", port)).is_ok(), has_ipv6());
        if let Some(mut elsewhere) = of_this_machine() {
            elsewhere.set_port(port);
            assert!(TcpStream::connect(elsewhere).is_err(), "{elsewhere}");
        }
    }

    #[test]
    fn unspecified_is_both_families() {
        let (_listeners, port) = address(Address::At("[::]:0".parse().unwrap()));
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
        assert_eq!(TcpStream::connect(("::1", port)).is_ok(), has_ipv6());
        if let Some(mut elsewhere) = of_this_machine() {
            elsewhere.set_port(port);
            assert!(TcpStream::connect(elsewhere).is_ok(), "{elsewhere}");
        }
    }

    #[test]
    fn a_port_that_is_taken_is_named_with_what_to_do() {
        let (_taken, port) = address(Address::Loopback(0));
        let four = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        for asked in [Address::Loopback(port), Address::At(four)] {
            let error = asked.bind().unwrap_err().to_string();
            assert!(
                error.contains(&four.to_string()) && error.contains("--listen"),
                "{error}"
            );
        }
        // There is no such address here, and that is not for IPv6 to make up for.
        let elsewhere = Address::At("192.0.2.1:0".parse().unwrap());
        assert!(elsewhere.bind().is_err());
    }
}
